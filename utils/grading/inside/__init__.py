"""What runs inside of the sandbox, beside the learner's code. Nothing here knows an answer, a seed or a secret."""
