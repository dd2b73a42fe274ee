"""Reading datasets of people: what is in a file, and its samples as arrays. Without Django: jobs use it too."""
