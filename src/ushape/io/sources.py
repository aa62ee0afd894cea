"""Public data sets by name: where they lie, under which licence, and by which checksum they are known."""

from __future__ import annotations

from dataclasses import dataclass

_MSD_URL = "https://msd-for-monai.s3-us-west-2.amazonaws.com"
_MSD_LICENCE = "CC-BY-SA 4.0; cite Antonelli et al. 2022, doi:10.1038/s41467-022-30695-9"


@dataclass(frozen=True)
class Source:
    """A data set that can be fetched.

    Attributes:
        title: what it shows.
        licence: terms, and what to cite.
        url: of the archive; its last part is the archive's name in a mirror.
        checksum: "md5:..." or "sha256:..." of the archive, or "none" where none is known for certain.
        folder: the data set's folder in the archive, below any folder that wraps it all.
        megabytes: about how large the archive is; 0 where that is not known.
    """

    title: str
    licence: str
    url: str
    checksum: str
    folder: str
    megabytes: int = 0

    @property
    def archive(self) -> str:
        """The archive's file name."""
        return self.url.rpartition("/")[2]


def _decathlon(task: str, title: str, md5: str, megabytes: int) -> Source:
    return Source(title, _MSD_LICENCE, f"{_MSD_URL}/{task}.tar", f"md5:{md5}", task, megabytes)


SOURCES: dict[str, Source] = {
    "isbi2012": Source(
        title="membranes of the Drosophila ventral nerve cord, electron microscopy, 30 pictures of 512x512",
        licence="free for non-commercial segmentation software; cite Arganda-Carreras et al. 2015, "
        "doi:10.3389/fnana.2015.00142, and Cardona et al. 2010, doi:10.1371/journal.pbio.1000502",
        url="https://github.com/zhixuhao/unet/archive/refs/heads/master.zip",
        checksum="none",  # of a branch, which may move
        folder="data/membrane/train",
    ),
    "dsb2018": Source(
        title="cell nuclei of the Data Science Bowl 2018, stage 1, the fluorescence pictures with curated masks",
        licence="CC0 1.0 (image set BBBC038v1); cite Caicedo et al. 2019, doi:10.1038/s41592-019-0612-7",
        url="https://github.com/stardist/stardist/releases/download/0.1.0/dsb2018.zip",
        checksum="sha256:e44921950edce378063aa4457e625581ba35b4c2dbd9a07c19d48900129f386f",
        folder="dsb2018/train",
    ),
    **{
        f"msd:{task}": _decathlon(task, title, md5, megabytes)
        for task, title, md5, megabytes in (
            ("Task01_BrainTumour", "gliomas, MRI of four sequences", "240a19d752f0d9e9101544901065d872", 7100),
            ("Task02_Heart", "left atrium, MRI", "06ee59366e1e5124267b774dbd654057", 440),
            ("Task03_Liver", "liver and its tumours, CT", "a90ec6c4aa7f6a3d087205e23d4e6397", 27000),
            ("Task04_Hippocampus", "anterior and posterior hippocampus, MRI", "9d24dba78a72977dbd1d2e110310f31b", 30),
            ("Task05_Prostate", "zones of the prostate, MRI of two sequences", "35138f08b1efaef89d7424d2bcc928db", 230),
            ("Task06_Lung", "lung tumours, CT", "8afd997733c7fc0432f71255ba4e52dc", 8500),
            ("Task07_Pancreas", "pancreas and its tumours, CT", "4f7080cfca169fa8066d17ce6eb061e4", 11400),
            ("Task08_HepaticVessel", "vessels and tumours of the liver, CT", "641d79e80ec66453921d997fbf12a29c", 8700),
            ("Task09_Spleen", "spleen, CT", "410d4a301da4e5b2f6f86ec3ddba524e", 1500),
            ("Task10_Colon", "colon cancer, CT", "bad7a188931dc2f6acf72b08eb6202d0", 5800),
        )
    },
}
"""Name to source. Checksums are those that MONAI (Decathlon) and torch-em (DSB) publish for the same addresses."""
