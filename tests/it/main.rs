mod adapter;
mod golden;
mod model_golden;
