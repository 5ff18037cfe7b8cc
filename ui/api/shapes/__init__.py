"""The shapes of what the API gives and takes, from which its description is made; tests hold real answers to them."""
