mod golden;
mod model_golden;
