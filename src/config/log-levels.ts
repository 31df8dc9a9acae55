// Levels of the log, apart from the configuration's reader, which brings a reader of YAML along.

/** From most to least. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
