"use strict";
// Asks before a button destroys something, and refreshes the page every five seconds.
(() => {
  const content = document.getElementById("huey-content");

  content.addEventListener("submit", (event) => {
    const question = event.target.dataset.ask;
    if (question && !window.confirm(question)) {
      event.preventDefault();
    }
  });

  const refresh = async () => {
    // Not under the hand of somebody who is about to press a button, and not in a hidden tab.
    if (document.hidden || content.contains(document.activeElement)) {
      return;
    }
    const answer = await fetch(content.dataset.fragment, { credentials: "same-origin" });
    if (answer.ok && !answer.redirected) {
      content.innerHTML = await answer.text();
    }
  };
  setInterval(() => refresh().catch(() => {}), 5000);
})();
