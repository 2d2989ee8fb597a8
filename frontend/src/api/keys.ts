/** Names of everything in the query cache; the live socket patches by these. */
export const keys = {
  jobs: ["jobs"] as const,
  recentJobs: ["jobs", "recent"] as const,
  jobLists: ["jobs", "list"] as const,
  jobList: (status: string) => ["jobs", "list", status] as const,
  job: (id: string) => ["jobs", "one", id] as const,
  gallery: ["gallery"] as const,
  galleryLists: ["gallery", "list"] as const,
  galleryList: (q: string) => ["gallery", "list", q] as const,
  image: (id: string) => ["gallery", "one", id] as const,
  models: ["models"] as const,
  schedulers: ["schedulers"] as const,
  system: ["system"] as const,
  history: ["history"] as const,
  dependencies: ["dependencies"] as const,
  endpoints: ["endpoints"] as const,
  me: ["me"] as const,
};
