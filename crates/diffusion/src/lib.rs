//! Making pictures from text: the model, its adapters, training and sampling.
