"""The ground that the browser tests stand on."""

from __future__ import annotations


def test_a_notebook_opens_and_its_cells_run(lab):
    page = lab.open(lab.notebook("sum.ipynb", ["1 + 1", "print('the end')"]))
    lab.run_all(page)
    assert page.get_by_text("the end", exact=True).last.is_visible()


def test_the_same_notebook_opens_in_notebook_7(lab):
    page = lab.open(lab.notebook("seven.ipynb", ["print(6 * 7)"]), app="notebook")
    lab.run_all(page)
    page.locator(".jp-OutputArea-output").get_by_text("42").wait_for()
