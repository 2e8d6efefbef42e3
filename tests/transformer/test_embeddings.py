"""Embeddings and the output layer that shares their table."""

import torch

from utils.transformer import OutputLayer, TokenEmbedding


def test_vectors_are_rows_of_the_table_times_the_root_of_the_width():
    embedding = TokenEmbedding(10, 16)
    tokens = torch.tensor([[1, 9], [0, 1]])
    torch.testing.assert_close(embedding(tokens), embedding.weight[tokens] * 4)


def test_scaled_vectors_have_standard_deviation_one():
    scaled = TokenEmbedding(2000, 64)(torch.arange(2000)[None])
    assert abs(scaled.std().item() - 1) < 0.02 and abs(scaled.mean().item()) < 0.02


def test_a_tied_output_layer_shares_storage_and_gradient():
    embedding = TokenEmbedding(7, 4)
    output = OutputLayer(7, 4, embedding)
    assert output.weight is embedding.weight
    states = torch.randn(2, 3, 4)
    torch.testing.assert_close(output(states), states @ embedding.weight.T)  # the table itself, not scaled
    (output(states).sum() + embedding(torch.tensor([[1]])).sum()).backward()
    want = states.sum((0, 1)).expand(7, 4).clone()
    want[1] += 2  # √4 from the look-up
    torch.testing.assert_close(embedding.weight.grad, want)


def test_an_untied_output_layer_has_its_own_xavier_matrix():
    output = OutputLayer(50, 10)
    bound = (6 / 60) ** 0.5
    assert output.weight.abs().max() <= bound
    assert output.weight.abs().max() > 0.95 * bound
