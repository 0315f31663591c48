document.querySelector("form")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { article, pieces } = Object.fromEntries(new FormData(event.target));
  const answer = await fetch("/orders", { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ article, pieces: Number(pieces) }) });
  document.querySelector("output").textContent = JSON.stringify(await answer.json());
});
