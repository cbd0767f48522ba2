//! Inference of many adapters over one base.
