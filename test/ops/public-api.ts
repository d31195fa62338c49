import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

/** A parameter as the declaration files say it. */
export interface Parameter {
  readonly name: string;
  /** What a value of it may be: `blob`, `operand` (a Blob or a number), `blobs`, `options`, or anything else. */
  readonly kind: "blob" | "operand" | "blobs" | "options" | "other";
  readonly optional: boolean;
  /** Of options: each name, and whether its value is a Blob. */
  readonly options: readonly { readonly name: string; readonly blob: boolean }[];
}

/** A function, constructor or method that users can call. */
export interface PublicFunction {
  /** `math.relu`, `optimizer.SGD`, `train.CheckPoint.init`. */
  readonly path: string;
  /** The name it was declared under: `clipByValue` for `clamp`. */
  readonly declared: string;
  readonly kind: "function" | "constructor" | "method";
  /** Of the last overload: the one that says it all. */
  readonly parameters: readonly Parameter[];
}

const entry = fileURLToPath(new URL("../../dist/index.d.ts", import.meta.url)).replaceAll("\\", "/");

/** Everything callable in the built package, as its declaration files tell. */
export function publicFunctions(): readonly PublicFunction[] {
  const program = ts.createProgram([entry], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    strict: true,
    exactOptionalPropertyTypes: true,
    types: [],
    lib: ["lib.es2023.d.ts"],
    skipLibCheck: true,
  });
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(entry)!)!;
  const found: PublicFunction[] = [];
  const own = (symbol: ts.Symbol): boolean =>
    symbol.declarations?.some((d) => d.getSourceFile().fileName.startsWith(dirname(entry))) ?? false;
  const isBlob = (type: ts.Type): boolean => type.getSymbol()?.name === "Blob";

  /** An object all of whose properties may be left out. */
  const isOptions = (type: ts.Type): boolean =>
    type.isIntersection()
      ? type.types.some(isOptions)
      : (type.flags & ts.TypeFlags.Object) !== 0 &&
        !isBlob(type) &&
        !checker.isArrayType(type) &&
        type.getCallSignatures().length === 0 &&
        type.getProperties().length > 0 &&
        type.getProperties().every((p) => (p.flags & ts.SymbolFlags.Optional) !== 0);

  const parameter = (symbol: ts.Symbol): Parameter => {
    const declaration = symbol.valueDeclaration as ts.ParameterDeclaration;
    const type = checker.getNonNullableType(checker.getTypeOfSymbol(symbol));
    const parts = type.isUnion() ? type.types : [type];
    const blobs = parts.some(
      (t) => checker.isArrayType(t) && isBlob(checker.getTypeArguments(t as ts.TypeReference)[0]!),
    );
    const kind =
      symbol.name === "options" || parts.some(isOptions)
        ? "options"
        : blobs
          ? "blobs"
          : parts.some(isBlob)
            ? parts.length > 1
              ? "operand"
              : "blob"
            : "other";
    const options =
      kind === "options"
        ? parts
            .flatMap((t) => t.getProperties())
            .map((p) => ({ name: p.name, blob: isBlob(checker.getNonNullableType(checker.getTypeOfSymbol(p))) }))
        : [];
    const optional = declaration.questionToken !== undefined || declaration.initializer !== undefined;
    return { name: symbol.name, kind, optional, options };
  };
  const add = (path: string, declared: string, kind: PublicFunction["kind"], signatures: readonly ts.Signature[]) =>
    found.push({ path, declared, kind, parameters: signatures.at(-1)!.getParameters().map(parameter) });

  const visit = (symbol: ts.Symbol, path: string): void => {
    // `export type { WeightDecay }` brings the type of a class alone.
    if (symbol.declarations?.some(ts.isTypeOnlyExportDeclaration)) return;
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
    if (target.flags & ts.SymbolFlags.ValueModule) {
      for (const part of checker.getExportsOfModule(target))
        visit(part, path === "" ? part.name : `${path}.${part.name}`);
      return;
    }
    if (!(target.flags & ts.SymbolFlags.Value)) return;
    const type = checker.getTypeOfSymbol(target);
    if (target.flags & ts.SymbolFlags.Class) {
      const abstract = (ts.getCombinedModifierFlags(target.valueDeclaration!) & ts.ModifierFlags.Abstract) !== 0;
      if (!abstract) add(path, target.name, "constructor", type.getConstructSignatures());
      for (const member of checker.getDeclaredTypeOfSymbol(target).getProperties()) {
        if (ts.getCombinedModifierFlags(member.valueDeclaration!) & ts.ModifierFlags.Protected) continue;
        const calls = own(member) ? checker.getTypeOfSymbol(member).getCallSignatures() : [];
        if (calls.length > 0 && !member.name.startsWith("__"))
          add(`${path}.${member.name}`, member.name, "method", calls);
      }
      return;
    }
    const calls = type.getCallSignatures();
    if (calls.length > 0) add(path, target.name, "function", calls);
    else for (const member of type.getProperties()) if (own(member)) visit(member, `${path}.${member.name}`);
  };
  visit(module, "");
  return found;
}
