/** The part of WebAssembly that is used here; the compiler's own description of it comes with a browser's alone. */
export interface WasmModule {
  readonly kind?: never
}

type Exported = ((...values: number[]) => unknown) | WasmMemory

export interface WasmMemory {
  readonly buffer: ArrayBuffer
}

export type WasmExports = Readonly<Record<string, Exported>>

interface Wasm {
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<WasmModule>
  readonly Module: {
    imports(module: WasmModule): readonly { readonly module: string; readonly name: string; readonly kind: string }[]
    exports(module: WasmModule): readonly { readonly name: string; readonly kind: string }[]
  }
  readonly Instance: new (
    module: WasmModule,
    imports: Readonly<Record<string, Readonly<Record<string, (...values: number[]) => number>>>>,
  ) => { readonly exports: WasmExports }
  readonly Memory: new (bounds: { readonly initial: number }) => WasmMemory
}

export const wasm: Wasm = (globalThis as unknown as { readonly WebAssembly: Wasm }).WebAssembly
