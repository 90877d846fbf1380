"""From picture files to 28x28 images, and from images to digits."""
