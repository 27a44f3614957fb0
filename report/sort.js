// Sorts a table by the column whose button is pressed; without this script the table is just not sortable.
for (const table of document.querySelectorAll("table.sortable")) {
	const heads = [...table.tHead.rows[0].cells];
	heads.forEach((head, column) => {
		const button = document.createElement("button");
		button.type = "button";
		button.textContent = head.textContent;
		head.replaceChildren(button);
		button.addEventListener("click", () => {
			const down = head.getAttribute("aria-sort") === "ascending";
			for (const other of heads) other.removeAttribute("aria-sort");
			head.setAttribute("aria-sort", down ? "descending" : "ascending");
			const body = table.tBodies[0];
			const key = row => row.cells[column].dataset.value ?? row.cells[column].textContent;
			const rows = [...body.rows].sort((a, b) => {
				const x = key(a), y = key(b), order = x !== "" && y !== "" && !isNaN(x) && !isNaN(y) ? x - y : x.localeCompare(y);
				return down ? -order : order;
			});
			body.append(...rows);
		});
	});
}
