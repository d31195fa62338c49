// A TypeDoc plugin: a documented Python name, the `@flow` tag of a docstring, finds its page in the search.
import { IndexEvent } from "typedoc";

/** The members of an object's type, also where it is `Readonly` of one. */
function membersOf(type) {
  if (type?.type === "reference") return (type.typeArguments ?? []).flatMap(membersOf);
  return type?.type === "reflection" ? (type.declaration.children ?? []) : [];
}

/** The `@flow` names of a declaration: an alias has those of what it stands for, an object those of its members too. */
function flowNames(reflection) {
  const target = reflection.isReference() ? reflection.getTargetReflectionDeep() : reflection;
  return [target, ...membersOf(target.type)]
    .flatMap(({ comment, signatures = [] }) => [comment, ...signatures.map((signature) => signature.comment)])
    .flatMap((comment) => comment?.getTags("@flow") ?? [])
    .map((tag) =>
      tag.content
        .map((part) => part.text)
        .join("")
        .trim(),
    );
}

/** @param {import("typedoc").Application} app */
export function load(app) {
  app.internationalization.addTranslations("en", { tag_flow: "In OneFlow" });
  app.renderer.on(IndexEvent.PREPARE_INDEX, (event) => {
    event.searchFieldWeights.flow = 20;
    for (const [i, reflection] of event.searchResults.entries())
      event.searchFields[i].flow = flowNames(reflection)
        .map((name) => `flow.${name}`)
        .join(" ");
  });
}
