//! The judge's weights as a safetensors file of bfloat16.

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::network::{Layer, Network};

/// Why weights are not those of a judge.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JudgeError {
    #[error("the judge's weights cannot be read: {reason}")]
    Unreadable { reason: String },
    #[error("the judge's weights: `{name}` has {found} values, expected {expected} of bfloat16")]
    WrongSize {
        name: String,
        found: usize,
        expected: usize,
    },
}

/// All weights of a judge.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgeWeights {
    pub(super) network: Network,
}

impl JudgeWeights {
    /// The weights as they are in a file.
    pub(super) fn rounded(mut self) -> Self {
        for layer in &mut self.network.layers {
            for (_, values) in named(layer) {
                for value in values {
                    *value = from_bf16(bf16(*value));
                }
            }
        }
        self
    }

    /// Reads what [`JudgeWeights::to_safetensors`] wrote.
    ///
    /// # Errors
    /// If the file is damaged or holds other tensors.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, JudgeError> {
        let unreadable = |error: safetensors::SafeTensorError| JudgeError::Unreadable {
            reason: error.to_string(),
        };
        let file = SafeTensors::deserialize(bytes).map_err(unreadable)?;
        let mut network = Network::zeros();
        for layer in &mut network.layers {
            for (name, values) in named(layer) {
                let tensor = file.tensor(&name).map_err(unreadable)?;
                let found = tensor.data().len() / 2;
                if tensor.dtype() != Dtype::BF16 || found != values.len() {
                    return Err(JudgeError::WrongSize {
                        name,
                        found,
                        expected: values.len(),
                    });
                }
                for (value, pair) in values.iter_mut().zip(tensor.data().chunks_exact(2)) {
                    *value = from_bf16([pair[0], pair[1]]);
                }
            }
        }
        Ok(Self { network })
    }

    /// The weights, rounded to bfloat16.
    ///
    /// # Errors
    /// If they cannot be laid out, which does not depend on the values.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, JudgeError> {
        let mut network = self.network.clone();
        let tensors: Vec<(String, Vec<u8>)> = network
            .layers
            .iter_mut()
            .flat_map(named)
            .map(|(name, values)| (name, values.iter().flat_map(|value| bf16(*value)).collect()))
            .collect();
        let unreadable = |error: safetensors::SafeTensorError| JudgeError::Unreadable {
            reason: error.to_string(),
        };
        let views = tensors
            .iter()
            .map(|(name, bytes)| {
                let view = TensorView::new(Dtype::BF16, vec![bytes.len() / 2], bytes);
                view.map(|view| (name.as_str(), view)).map_err(unreadable)
            })
            .collect::<Result<Vec<_>, JudgeError>>()?;
        safetensors::serialize(views, None).map_err(unreadable)
    }
}

fn named(layer: &mut Layer) -> [(String, &mut Vec<f32>); 2] {
    [
        (format!("{}.weight", layer.name), &mut layer.weights),
        (format!("{}.bias", layer.name), &mut layer.offsets),
    ]
}

fn from_bf16(pair: [u8; 2]) -> f32 {
    f32::from_bits(u32::from(u16::from_le_bytes(pair)) << 16)
}

/// The nearest bfloat16, of two equally near ones the even one.
fn bf16(value: f32) -> [u8; 2] {
    let bits = value.to_bits();
    let rounded = bits + 0x7fff + ((bits >> 16) & 1);
    ((rounded >> 16) as u16).to_le_bytes()
}
