"""A batch's answers are written at once where all are one row, and each by itself where not."""

import numpy as np

from serving.answer import Answer
from serving.codecs import Form, formats
from serving.writing import Writing

ARRAY = np.array([[1.5, 2.5], [3.5, 4.5]], np.float32)


def writing_of(media_type: str) -> Writing:
    return Writing(next(entry for entry in formats(1000) if entry.media_type == media_type))


def test_rows_are_written_at_once_as_each_would_be() -> None:
    writing = writing_of("application/json")
    for form in Form:
        answers = writing.splitting(form)({"y": ARRAY}, [1, 1])
        assert answers == [writing.answer({"y": ARRAY[row : row + 1]}, form, 1) for row in range(2)]


def test_requests_of_several_rows_and_other_formats_have_their_part_of_the_outputs() -> None:
    several = writing_of("application/json").splitting(Form.ROW)({"y": ARRAY}, [2])
    assert several == [{"y": ARRAY}]
    for answer in writing_of("application/jsonlines").splitting(Form.ROW)({"y": ARRAY}, [1, 1]):
        assert not isinstance(answer, Answer)


def test_what_asks_in_one_way_has_the_same_splitting() -> None:
    writing = writing_of("application/json")
    assert writing.splitting(Form.ROW) is writing.splitting(Form.ROW)
    assert writing.splitting(Form.ROW) is not writing.splitting(Form.COLUMN)
