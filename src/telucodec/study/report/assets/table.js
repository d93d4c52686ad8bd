// tables that sort by a column: numbers as numbers, what is missing last

function cellValue(row, column) {
  const told = row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  return told === "" ? null : Number.isNaN(Number(told)) ? told : Number(told);
}

function compareValues(a, b, sign) {
  if (a == null || b == null) return (a == null) - (b == null);
  if (typeof a === "number" && typeof b === "number") return sign * (a - b);
  return sign * String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortTable(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const descending = heads[column].getAttribute("aria-sort") === "ascending";
  heads.forEach((head, number) =>
    head.setAttribute("aria-sort", number === column ? (descending ? "descending" : "ascending") : "none"));
  const rows = [...table.tBodies[0].rows];
  rows.sort((a, b) => compareValues(cellValue(a, column), cellValue(b, column), descending ? -1 : 1));
  table.tBodies[0].append(...rows);
}

function startTables() {
  document.querySelectorAll("table.sortable").forEach((table) =>
    [...table.tHead.rows[0].cells].forEach((head, column) =>
      head.querySelector("button").addEventListener("click", () => sortTable(table, column))));
}
