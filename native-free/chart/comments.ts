// What a reader of the chart is told beside the fields, by kind and path.

export const comments: Readonly<Record<string, string>> = {};
