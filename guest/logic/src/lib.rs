//! What the gateway thinks: TensorFlow Serving's REST protocol over any inference.
