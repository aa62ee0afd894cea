"""NET + PATCHES -> MODEL FILE: lightning runs the loop; what it must not forget stands here."""
