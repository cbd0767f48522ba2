//! Pictures: reading and writing their files, folders of captioned pictures, drawn icons.
//!
//! ```
//! use openlora_pictures::icons::IconScene;
//!
//! let scene = IconScene::from_seed(7);
//! let picture = scene.draw(64);
//! assert_eq!((picture.width, picture.height), (64, 64));
//! assert_eq!(IconScene::from_caption(&scene.caption(0)).map(|s| s.content), Some(scene.content));
//! ```

pub mod icons;
pub mod picture;

pub use picture::Picture;
