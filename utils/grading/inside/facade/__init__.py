"""What `utils` is inside of the sandbox where it is not cut out of the course: copied there by `course.py`."""
