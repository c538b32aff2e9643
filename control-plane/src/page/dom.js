// Making and updating elements. Text is always set as text.

export const byId = (id) => document.getElementById(id);

// An element with a class and children (elements or texts).
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// Sets what differs, so that a screen reader is not told the same twice and a
// selection survives.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element, name, value) {
  if (value === null) element.removeAttribute(name);
  else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// Keeps one child of `parent` for each item, in order: `create` makes it once,
// `update` fills it. Elements stay the same ones, and so does the focus.
export function keyed(parent, items, key, create, update) {
  const present = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = key(item);
    let child = present.get(name);
    if (child) present.delete(name);
    else {
      child = create(item);
      child.dataset.key = name;
    }
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    update(child, item);
  });
  for (const gone of present.values()) gone.remove();
}
