// Elements without a framework. Whatever comes from the mesh becomes text by textContent, never HTML: names are chosen
// by whoever may write to the cluster.

export type Child = Node | string | null | false;

export interface Props {
  readonly class?: string;
  readonly title?: string;
  /** What a screen reader says. */
  readonly label?: string;
  readonly attributes?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly onClick?: (event: MouseEvent) => void;
}

/** An element with its attributes and children; strings become text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  if (tag === 'button') element.setAttribute('type', 'button');
  if (props.class !== undefined) element.className = props.class;
  if (props.title !== undefined) element.title = props.title;
  if (props.label !== undefined) element.setAttribute('aria-label', props.label);
  for (const [name, value] of Object.entries(props.attributes ?? {})) element.setAttribute(name, value);
  for (const [name, value] of Object.entries(props.data ?? {})) element.dataset[name] = value;
  const { onClick } = props;
  if (onClick !== undefined) (element as HTMLElement).addEventListener('click', onClick);
  element.append(...present(children));
  return element;
}

/** Those children that are there. */
export function present(children: readonly Child[]): (Node | string)[] {
  return children.filter((child) => child !== null && child !== false);
}

/** Changes a text only where it differs, so that nothing is painted for nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Changes an attribute only where it differs; null takes it away. */
export function setAttribute(element: Element, name: string, value: string | null): void {
  if (value === null) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/** One element of a list, and how it takes a new state of what it shows. */
export interface Row<T> {
  readonly element: HTMLElement;
  update(item: T): void;
}

/** Children of an element that stand for items: kept by key, so that focus, scrolling and what is open stay. */
export class Rows<T> {
  readonly #parent: HTMLElement;
  readonly #keyOf: (item: T) => string;
  readonly #create: (item: T) => Row<T>;
  #rows = new Map<string, Row<T>>();

  constructor(parent: HTMLElement, keyOf: (item: T) => string, create: (item: T) => Row<T>) {
    this.#parent = parent;
    this.#keyOf = keyOf;
    this.#create = create;
  }

  /** Shows these, in this order. */
  show(items: readonly T[]): void {
    const rows = new Map<string, Row<T>>();
    for (const item of items) {
      const key = this.#keyOf(item);
      const row = this.#rows.get(key) ?? this.#create(item);
      rows.set(key, row);
      row.update(item);
    }
    for (const [key, row] of this.#rows) if (!rows.has(key)) row.element.remove();
    this.#rows = rows;
    let next: Element | null = this.#parent.firstElementChild;
    for (const { element } of rows.values()) {
      if (element === next) next = next.nextElementSibling;
      else this.#parent.insertBefore(element, next);
    }
  }

  /** The element of an item that is shown. */
  get(key: string): HTMLElement | undefined {
    return this.#rows.get(key)?.element;
  }
}

/** A part of a page that is made anew when what it shows differs, and only then. The focus in it stays. */
export class Section {
  readonly element: HTMLElement;
  #shown = '';

  constructor(element: HTMLElement) {
    this.element = element;
  }

  /** `state` is all that `build` depends on; no children hide the section. */
  show(state: unknown, build: () => readonly Child[]): void {
    const text = JSON.stringify(state);
    if (text === this.#shown) return;
    this.#shown = text;
    const focused = this.element.contains(document.activeElement) ? this.#focusables() : [];
    const at = focused.indexOf(document.activeElement as HTMLElement);
    const children = present(build());
    this.element.replaceChildren(...children);
    this.element.hidden = children.length === 0;
    if (at >= 0) this.#focusables()[at]?.focus({ preventScroll: true });
  }

  #focusables(): HTMLElement[] {
    return [...this.element.querySelectorAll<HTMLElement>('button, summary, a[href]')];
  }
}
