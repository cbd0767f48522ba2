//! Pictures: reading and writing their files, folders of captioned pictures, drawn icons.
