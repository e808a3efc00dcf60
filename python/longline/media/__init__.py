"""The client of the media server: the program that carries the audio, which never enters this process."""
