// The shop works without this file. It saves clicks and keeps an order's status live.
"use strict";

document.documentElement.classList.add("js");

// Forms that send themselves when a choice is made; their buttons are for those without scripts.
for (const form of document.querySelectorAll("form[data-auto]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// A page that is seen again, or comes back from the browser's memory, asks how much is in the cart: another page may have changed it. This
// is a call of shop.storefront.v1.Visits by Connect; a method without side effects is a GET.
async function countCart() {
  const query = new URLSearchParams({ connect: "v1", encoding: "json", message: "{}" });
  const response = await fetch("/shop.storefront.v1.Visits/CountCart?" + query, { cache: "no-store", signal: AbortSignal.timeout(3000) });
  if (!response.ok) return; // what the page says is the best that is known
  const { pieces = 0 } = await response.json();
  const cart = document.querySelector('.own a[href="/cart"]');
  let count = cart.querySelector(".count");
  if (pieces === 0) {
    count?.remove();
    return;
  }
  if (!count) {
    count = document.createElement("b");
    cart.append(count);
  }
  count.className = "count";
  count.removeAttribute("title");
  const unit = document.createElement("span");
  unit.className = "hidden";
  unit.textContent = " pieces";
  count.replaceChildren(String(pieces), unit);
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) countCart().catch(() => {}); });
addEventListener("pageshow", (event) => { if (event.persisted) countCart().catch(() => {}); });

// A purchase is sent once.
for (const form of document.querySelectorAll("form[data-once]")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button:not([type=button])");
    setTimeout(() => { button.disabled = true; button.textContent = "One moment …"; });
  });
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
}

// What was typed at checkout, but nothing of the card, outlives a change of country.
const order = document.getElementById("order");
if (order) {
  const kept = ["name", "email", "street", "postcode", "city"];
  for (const name of kept) {
    const field = order.elements[name];
    if (!field.value) field.value = sessionStorage.getItem("kontor." + name) ?? "";
    field.addEventListener("input", () => sessionStorage.setItem("kontor." + name, field.value));
  }
  const example = document.getElementById("example");
  example.hidden = false;
  example.addEventListener("click", () => {
    const values = {
      name: "Johann Buddenbrook", email: "johann@example.com", street: "Mengstraße 4", postcode: "23552", city: "Lübeck",
      number: "4242 4242 4242 4242", holder: "Johann Buddenbrook", expiry: "12/" + String((new Date().getFullYear() + 2) % 100), code: "123",
    };
    for (const [name, value] of Object.entries(values)) {
      order.elements[name].value = value;
      order.elements[name].dispatchEvent(new Event("input"));
    }
  });
}

// Live status of an order.
const live = document.querySelector("[data-events]");
if (live) {
  const events = new EventSource(live.dataset.events);
  const update = (event) => { live.innerHTML = event.data; };
  events.addEventListener("status", update);
  events.addEventListener("points", (event) => {
    const points = document.getElementById("points");
    if (points) points.innerHTML = event.data;
  });
  events.addEventListener("final", (event) => { update(event); events.close(); });
}
