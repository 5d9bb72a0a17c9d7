"""TensorRT: engines built, cached and run on the GPU. Importing this imports neither TensorRT nor pycuda."""
