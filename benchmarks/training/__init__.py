"""The training loop, and the torch and Keras sides of it. With the models, the only home of torch and Keras."""
