"""Files to cases and back: readers, writers, data set layouts, checks, repairs, downloads, and synthetic data.

```
images      which reader serves which file: bitmaps  tiffs  nifti  itk (NRRD, MetaImage)  dicom + slices
layouts     which files are a data set: folders  dataset_json  pair_table; in the words of pairs
cases       files -> Case: channels put together, labels on the image's grid
outputs     Case and prediction -> files on the same grid; dicom_seg for DICOM viewers
faults      what is wrong with a data set: pair_faults  set_faults; repair copies it mended
fetch       public data sets: sources  download  archives
synthetic   cell nuclei; vessels: of a retina; phantom + anatomy: CT-like abdomens
```
A new format is a reader in `images.READERS`; a new layout is a line in `layouts.LAYOUTS`.
"""
