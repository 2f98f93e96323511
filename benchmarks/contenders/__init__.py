"""What the library is compared with, apart from other libraries: SQL written by hand, and JSON files."""
