// Sends the calls of the page that lists the management API.
"use strict";

for (const form of document.querySelectorAll("form.try")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const shown = form.querySelector("pre");
    shown.hidden = false;
    shown.textContent = "Waiting for the answer";
    try {
      shown.textContent = await send(form);
    } catch (error) {
      shown.textContent = "The call could not be sent: " + error.message;
    }
  });
}

async function send(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  const request = { method: form.dataset.method, headers: {}, credentials: "omit", cache: "no-store" };
  const token = document.getElementById("token").value.trim();
  if (token) {
    request.headers.authorization = "Bearer " + token;
  }
  for (const field of form.querySelectorAll("[data-in]")) {
    const value = field.value.trim();
    if (field.dataset.in === "path") {
      path = path.replace("{" + field.name + "}", encodeURIComponent(value));
    } else if (value && field.dataset.in === "query") {
      query.append(field.name, value);
    } else if (value && field.dataset.in === "body") {
      request.headers["content-type"] = "application/json";
      request.body = value;
    }
  }
  const text = query.toString();
  const answer = await fetch(path + (text ? "?" + text : ""), request);
  const body = await answer.text();
  let pretty = body;
  try {
    pretty = JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    // Not JSON: shown as it came.
  }
  return answer.status + " " + answer.statusText + "\n\n" + pretty;
}
