//! Phase flash: the disk holds the image, read back and compared.
