//! Tests of pictures: files, folders, drawn icons.

mod icons;
