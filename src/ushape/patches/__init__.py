"""CASE -> TRAINING BATCH: prepared cases on disk, patches cut from them, augmentation."""
