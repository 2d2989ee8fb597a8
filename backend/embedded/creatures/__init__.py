"""`creatures`: a text-to-image model that draws picture-book creatures, and the scripts that train it."""
