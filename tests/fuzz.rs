//! The fuzz targets over their corpus and over hostile input.

mod corpus;
mod hostile;
