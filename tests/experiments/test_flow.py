"""Which names of the notebook a cell depends on."""

from __future__ import annotations

import ast

import pytest

from jupyter_mlops.experiments.flow import free_names


@pytest.mark.parametrize(
    ("code", "free"),
    [
        ("X = rows.drop('y'); model = fit(X)", "rows fit"),
        ("x = x + 1", "x"),
        ("x += 1", "x"),
        ("from sklearn import svm as s\nmodel = s.SVC()", ""),
        ("import os.path\nos.getcwd()", ""),
        ("if flag:\n    a = 1\nprint_(a)", "flag print_ a"),
        ("if flag:\n    a = 1\nelse:\n    a = 2\nuse(a)", "flag use"),
        ("if flag:\n    a = 1\nelse:\n    raise E\nuse(a)", "flag E use"),
        ("for i in many:\n    best = i\nuse(best, i)", "many use"),
        ("try:\n    a = load()\nexcept E:\n    a = None\nuse(a)", "load E use"),
        ("try:\n    a = load()\nexcept E as e:\n    say(e)\nuse(a)", "load E say use a"),
        ("with open_(p) as f:\n    t = f\nuse(t)", "open_ p use"),
        ("def f(x, n=k):\n    y = x + z\n    return y\nz = 1\nf(2)", "k"),
        ("def f(x):\n    return g(x)\nmodel = f(1)", "g"),
        ("def f():\n    global seen\n    seen = seen + 1\nf()", "seen"),
        ("best = [fit(x) for x in grid if x > low]", "fit grid low"),
        ("x = 1\nf = lambda a, *b, **c: a + x + b + c + w", "w"),
        ("class A(B):\n    k = n\n    def m(self):\n        return self.k + q\nA()", "B n q"),
        ("if (n := count()) > 1:\n    use(n)", "count use"),
        ("del a\na", "a"),
        ("match v:\n    case [x, *r]:\n        use(x, r)", "v use"),
        ("a: int = b\nc: list\na", "int b list"),
    ],
)
def test_a_name_is_free_when_it_may_be_read_before_it_is_bound(code: str, free: str) -> None:
    assert free_names(ast.parse(code)) == set(free.split())
