"""The image, the Compose file and the stack file of this repository on a real engine, with stand-ins beside them."""
