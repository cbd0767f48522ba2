//! Pictures: reading and writing their files, folders of captioned pictures, drawn icons.
//!
//! ```
//! use openlora_pictures::{ReadLimits, encode_png, icons::IconScene, read_picture};
//!
//! let scene = IconScene::from_seed(7);
//! let picture = scene.draw(64);
//! let file = encode_png(&picture, &[])?;
//! assert_eq!(read_picture(&file, &ReadLimits::default())?, picture);
//!
//! let read = IconScene::from_caption(&scene.caption(0));
//! assert_eq!(read.map(|read| read.content), Some(scene.content));
//! # Ok::<(), openlora_pictures::PictureError>(())
//! ```

pub mod folder;
pub mod icons;
pub mod judge;
pub mod terminal;

mod error;
mod kind;
mod picture;
mod reading;
mod writing;

pub use error::PictureError;
pub use folder::{
    CaptionedFolder, CaptionedPicture, FolderError, FolderOptions, inspect_folder, read_folder,
    read_folder_with,
};
pub use kind::PictureKind;
pub use picture::Picture;
pub use reading::{PngText, ReadLimits, read_named_picture, read_picture, read_png_texts};
pub use writing::encode_png;
