"""Grades a class: from a folder of notebooks to points and feedback, in a way that no submission can fool.

Which way things flow:

    collect → match, gather → assemble → plugin (nbval) → running ⇄ sandbox      here, no learner's code
                                             ↓
                                          probing: cases out, bundle in, reference and judgement here
                                             ↓
    records → gradebook, feedback, class report, JUnit

`inside/` alone runs where the learner's code runs, on a course from which the answers have been cut (`course.py`).
"""
