"""The server of `seq2seq serve`: translations and attention over HTTP, and the page that shows them."""
