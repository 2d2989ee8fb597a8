"""The Spanish API: a picture from words, or from a picture and words, answered as the picture itself."""
