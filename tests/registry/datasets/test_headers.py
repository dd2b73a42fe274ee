"""Whether the first row of a table is its header, and where the target is."""

import pytest

from registry.datasets.headers import shape_of


@pytest.mark.parametrize(
    "sample",
    [
        "a,b\n1,2\n",
        "a,b\n1,x\n",
        "colour,size\nred,small\nblue,small\n",
        "0,1,2,target\n5,6,7,0\n",
        "a,,label\n1,2,3\n",
        "a,b\nNA,2\n3,4\n",
        "label,text\n",
    ],
)
def test_it_finds_the_header(sample: str) -> None:
    assert shape_of(sample).has_header


@pytest.mark.parametrize(
    "sample",
    [
        "1,2\n3,4\n",
        "5.1,3.5,setosa\n4.9,3.0,setosa\n",
        "red,small\nblue,small\nred,large\n",
        "x,y,n\nx,n,y\nx,y,y\n",
        "1,2,3",
        ",,\n1,2,3\n",
    ],
)
def test_it_finds_no_header(sample: str) -> None:
    assert not shape_of(sample).has_header


@pytest.mark.parametrize(
    ("names", "target"),
    [("a,b,c", 2), ("label,b,c", 0), ("a,Y,c", 1), ("class,target,c", 1), ("y,label,class", 1)],
)
def test_it_finds_the_target(names: str, target: int) -> None:
    assert shape_of(f"{names}\n1,2,3\n").target == target


@pytest.mark.parametrize(
    ("sample", "delimiter"),
    [
        ("a;b;c\n1,5;2,5;3\n4;5;6\n", ";"),
        ('a,b\n"x;y",1\n"z;w",2\n', ","),
        ("a\tb, c\n1\t2, 3\n1\t2\n", "\t"),
        ("alone\n1\n", ","),
    ],
)
def test_it_finds_the_delimiter(sample: str, delimiter: str) -> None:
    assert shape_of(sample).delimiter == delimiter
