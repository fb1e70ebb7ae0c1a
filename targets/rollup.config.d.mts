import type { Plugin, RollupOptions } from 'rollup';

declare const config: Omit<RollupOptions, 'plugins'> & { readonly plugins: readonly Plugin[] };
export default config;
