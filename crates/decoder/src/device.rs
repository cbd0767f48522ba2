//! The device that a decoder computes on: the processor, or the GPU of a build for one.
//!
//! On a GPU, the frozen base and the activations are there, and the pass takes plain tensor
//! operations. LoRA factors stay in main memory, with their optimizer and their checkpoints: they are
//! small, and are moved in each pass.

use candle_core::Device;

use super::{
    error::DecoderError,
    layer::{LinearLayer, ModelParameter},
    network::Decoder,
};

/// The first device of CUDA or Metal in a build with that feature, otherwise the processor.
///
/// # Errors
///
/// The build is for a GPU that cannot be used here.
pub fn compute_device() -> Result<Device, DecoderError> {
    Ok(if cfg!(feature = "cuda") {
        Device::new_cuda(0)?
    } else if cfg!(feature = "metal") {
        Device::new_metal(0)?
    } else {
        Device::Cpu
    })
}

impl Decoder {
    /// Moves the frozen base weights to a device, which computes from then on.
    ///
    /// # Errors
    ///
    /// The device has no room for them, or is a GPU and some are packed.
    pub fn use_device(&mut self, device: &Device) -> Result<(), DecoderError> {
        let packed = |linear: &LinearLayer| linear.weight.parameter().is_none();
        if !device.is_cpu() && self.linears().any(packed) {
            return Err(DecoderError::PackedOnGpu);
        }
        self.for_parameters(|parameter| {
            if let ModelParameter::Frozen(tensor) = parameter {
                *tensor = tensor.to_device(device)?;
            }
            Ok(())
        })?;
        if !device.is_cpu() {
            self.set_fused(false);
        }
        Ok(())
    }
}
