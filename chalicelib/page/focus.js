// Where the focus goes when what had it leaves the page: to the same button of the next row, or to what is left around it.

/**
 * Called before something changes the page; what it returns is called afterwards, and puts the focus back if it was
 * lost: to what had it, to the same button of the same row, to the next row, or to what is left around it.
 */
export function keptFocus(from) {
  const line = from?.closest("[data-id]");
  const label = from?.dataset.verb ?? from?.getAttribute("aria-label");
  const lines = line ? [...line.parentElement.children].filter((each) => each.dataset.id) : [];
  const at = lines.indexOf(line);
  const ids = [...lines.slice(at), ...lines.slice(0, Math.max(at, 0)).reverse()].map((each) => each.dataset.id);
  const around = [];
  for (let each = from?.parentElement; each; each = each.parentElement) around.push(each);
  return () => {
    if (document.activeElement && document.activeElement !== document.body) return;
    const host = around.find((each) => each.isConnected) ?? document.body;
    const same = from?.isConnected && !from.disabled && from.getClientRects().length > 0;
    const target = same ? from : inRows(ids, label) ?? firstIn(around.filter((each) => each.isConnected));
    (target ?? host).focus();
  };
}

/** Of the first of those rows that is still there: the button of that label, or its first one. */
function inRows(ids, label) {
  for (const id of ids) {
    const line = document.querySelector(`#console [data-id="${CSS.escape(id)}"]`);
    const found = [...(line?.querySelectorAll("a, button") ?? [])];
    const wanted = (each) => (each.dataset.verb ?? each.getAttribute("aria-label")) === label;
    if (found.length > 0) return found.find(wanted) ?? found[0];
  }
  return null;
}

function firstIn(hosts) {
  for (const host of hosts) {
    const found = host.querySelector("a, button:not(:disabled), input:not(:disabled), select, [tabindex='-1']");
    if (found) return found;
  }
  return null;
}
