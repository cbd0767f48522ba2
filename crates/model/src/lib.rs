//! Base models: selection, files, GGUF, tokenizer and tensor shapes; adapters and datasets.
//!
//! Owns the config, the tokenizer and the shapes. The decoder computes with the weights. This crate
//! does not know optimizers, runs or serving.
//!
//! ```no_run
//! use openlora_model::{BaseRequest, open_base, parameters};
//!
//! let home = std::env::temp_dir().join("openlora-example");
//! let request = BaseRequest {
//!     id: "nano".to_owned(),
//!     revision: "main".to_owned(),
//!     endpoint: "https://huggingface.co".to_owned(),
//!     models_dir: home.join("models"),
//!     nano_dir: home.join("nano"),
//!     token: None,
//!     offline: true,
//! };
//! let base = open_base(&request, &mut |progress| drop(progress))?;
//! println!("{} has {} parameters", base.id, parameters(&base.config));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod adapter;
pub mod dataset;
pub mod export;

mod base;
mod config;
mod error;
mod file_error;
pub mod gguf;
pub mod hub;
mod lora_config;
pub mod nano;
mod picture_base;
pub mod shapes;
pub mod text;
pub mod unpack;
mod weight_files;
mod weights;

pub use base::{
    BaseModel, BaseProgress, BaseRequest, HubToken, SelectedBase, base_size, open_base,
    open_picture_base, select_base,
};
pub use config::{ModelConfig, ModelFamily, RopeScaling};
pub use error::{GgufProblem, HubProblem, ModelError};
pub use file_error::FileError;
pub use hub::DownloadProgress;
pub use lora_config::{LoraConfig, ModuleLora, ModulePattern, PatternError, is_target};
pub use picture_base::{PICTURE_ARCHITECTURE, PictureBase, PictureBaseFile};
pub use shapes::{ModuleShape, TensorShape, modules, parameters, tensors};
pub use weight_files::weight_files;
pub use weights::{WeightError, WeightFiles};

/// The storage of a base's frozen weights in memory; arithmetic is f32 throughout.
///
/// In the quantised formats, groups of 32 weights share an f16 scale, and only the linear layers of the
/// blocks are quantised. The embedding and the head are bf16 if that holds them exactly, as it does
/// where the checkpoint is bf16, and f32 otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WeightPrecision {
    F32,
    /// Matrices in bf16: half the memory; expanded block by block when used.
    Bf16,
    /// Linear layers in int8: 8.5 bits per weight.
    #[serde(rename = "q8_0")]
    Q8,
    /// Linear layers in 4 bits, as in QLoRA (arXiv:2305.14314): 4.5 bits per weight.
    #[serde(rename = "q4_0")]
    Q4,
    /// f32, the precision that is exact everywhere.
    #[default]
    Auto,
}
