"""One user logs in at a hub below a prefix, works, and our panel answers."""

from __future__ import annotations

import nbformat


def test_a_user_of_a_hub_logs_in_and_the_panel_answers(hub):
    page = hub.browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.set_default_timeout(60_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{hub.url}hub/login")
    page.get_by_label("Username").fill(hub.user)
    page.get_by_label("Password").fill("anything")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_function("() => window.jupyterapp !== undefined", timeout=120_000)
    assert "/science/user/ana.b@x.org/lab" in page.url
    page.evaluate("async () => { await window.jupyterapp.restored; }")
    page.evaluate("() => window.jupyterapp.commands.execute('jupyter-mlops:show-overview')")
    page.locator(".jp-mlops-Section[data-section=data]").get_by_text("No datasets yet").wait_for()

    home = hub.home / "users" / hub.user
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "%load_ext jupyter_mlops\n"
                "import pandas\n"
                "table = pandas.DataFrame({'hour': range(24), 'late': [0, 1] * 12})"
            ),
            nbformat.v4.new_code_cell("%mlops data add hours {table}"),
        ],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, home / "hours.ipynb")
    page.evaluate(
        """async () => {
            const app = window.jupyterapp;
            const widget = await app.commands.execute('docmanager:open', {path: 'hours.ipynb'});
            await widget.context.ready;
            await widget.sessionContext.ready;
            await widget.sessionContext.session.kernel.info;
            await app.commands.execute('notebook:run-all-cells');
        }"""
    )
    item = page.locator(".jp-mlops-Section[data-section=data]").get_by_role("button", name="hours")
    item.wait_for()
    item.click()
    page.locator(".jp-mlops-Panel .jp-mlops-View[data-kind=dataset]").wait_for()
    assert page.locator(".jp-mlops-Panel").get_by_text("24 rows").first.is_visible()
    # Only cookies say who asks here, so what changes something must carry XSRF.
    page.locator(".jp-mlops-Panel").get_by_role("button", name="Profile").click()
    page.locator(".jp-mlops-Panel .jp-mlops-View[data-kind=profile]").wait_for()
    assert problems == []
